"""What losses train beside the student, one kind a file; the losses' tables name them. See `edgekd.learn.companion`."""
