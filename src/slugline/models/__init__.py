"""Models of every kind behind one protocol: built, saved, loaded, asked."""
