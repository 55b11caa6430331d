"""What JavaScript does and Python does not: one definition for each rule. Knows nothing of memories or routes."""
