"""COCO data sets: what a file says, checked, as records; and the images it names."""
