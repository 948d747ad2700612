"""The handlers behind the routes of a serving pod."""
