# The command and the server alone: no pipeline, no tests. The versions are those of requirements.lock.
#   docker build -t deepfake-detect .
#   docker run --rm -p 127.0.0.1:8000:8000 -v "$PWD/models:/models:ro" deepfake-detect
#   docker run --rm --network faces --network-alias detector -v "$PWD/models:/models:ro" deepfake-detect serve \
#     --host 0.0.0.0 --name detector --checkpoint /models/best_model_efficientnet_b7.pth
#   docker run --rm -v "$PWD/models:/models:ro" -v "$PWD/pictures:/pictures:ro" deepfake-detect predict /pictures \
#     --checkpoint /models/best_model_efficientnet_b7.pth
FROM python:3.11-slim
WORKDIR /app
COPY pyproject.toml README.md LICENSE requirements.lock ./
COPY src src
# a lock's line without its hashes is a constraint
RUN sed -e '/--hash=/d' -e 's/ \\$//' requirements.lock >constraints.txt
RUN pip install --no-cache-dir --constraint constraints.txt ".[credentials,faces,page]"
USER 1000
EXPOSE 8000
ENTRYPOINT ["deepfake-detect"]
CMD ["serve", "--host", "0.0.0.0", "--checkpoint", "/models/best_model_efficientnet_b7.pth"]
