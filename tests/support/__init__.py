"""What the demo and the tests share: a cluster to talk to, Tidemill installed in it, and small pods of our own."""
