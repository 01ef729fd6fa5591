"""Seeded mutations of inputs, what they are fed to, and processes in which they may end badly."""
