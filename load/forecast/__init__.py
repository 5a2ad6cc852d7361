"""What a load will take, before it is begun: write and read units, hot keys, time, price."""
