"""Crashes, lost replies and broken disks."""
