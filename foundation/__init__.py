"""What the services of one environment share and no service owns."""
