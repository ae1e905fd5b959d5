"""The posts and pictures that a newcomer sees on a fresh site."""
