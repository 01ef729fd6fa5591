"""The command line: a file a command, thin shells over the package's public names."""
