"""Long campaigns that `make torture` runs: nothing here is part of `make test`."""
