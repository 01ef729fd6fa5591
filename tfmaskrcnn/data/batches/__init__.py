"""From records to a `tf.data.Dataset` of padded batches, in an order that can be resumed."""
