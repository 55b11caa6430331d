"""How memories are found: vectors and words in step with the database, embedders, scores."""
