"""AnnotateImages and ReadResults on DirectRunner's runners, against the embedded server. Needs the extra ``beam``."""
