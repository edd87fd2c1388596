"""What is explained: the score of a class, or any other scalar for each image."""
