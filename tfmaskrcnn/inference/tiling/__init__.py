"""Large pictures in tiles: where the tiles lie, what is found in them, and one result of it all."""
