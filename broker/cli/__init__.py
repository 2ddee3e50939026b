"""The command line. Only this package and `broker.demo` know every other part; nothing imports them."""
