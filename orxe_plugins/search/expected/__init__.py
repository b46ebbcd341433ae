"""Expected scores: what an expert is expected to score on a sample, given all recorded confidences."""
