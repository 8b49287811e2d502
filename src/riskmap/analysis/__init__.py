"""What the network and the layers tell: travel times, circles, coverage."""
