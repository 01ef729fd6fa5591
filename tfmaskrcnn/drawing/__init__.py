"""Pictures for people: objects over images, what the network is fed, curves."""
