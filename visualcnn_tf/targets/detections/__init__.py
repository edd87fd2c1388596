"""What the outputs of a detector tell of each box: scores of classes, classes, corners; one file for each form."""
