"""proto3 JSON and messages, both ways, fast, with json_format's results."""
