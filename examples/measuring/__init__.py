"""What the demo measures with: processes watched from outside, and a table."""
