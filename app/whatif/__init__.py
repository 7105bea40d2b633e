"""What another policy would have made of a recorded journal, beside what happened or what a third one would have."""
