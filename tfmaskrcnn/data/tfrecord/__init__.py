"""Data sets as TFRecord shards with an index beside each."""
