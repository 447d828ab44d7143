"""Films that stand in for genuine FaceForensics++ videos: people who do not exist, filmed and manipulated."""
