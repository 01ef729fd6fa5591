"""Helpers that know nothing of Mask R-CNN: files, tables, progress, quiet, versions."""
