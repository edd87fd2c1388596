"""Read untrusted images safely, and write files and folders completely or not at all."""
