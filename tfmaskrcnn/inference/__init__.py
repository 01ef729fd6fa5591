"""Trained models in use: run folders and exported models opened alike, images in, results out."""
