"""From the bytes of a line's fields to the values of labels."""
