"""Another number of partitions for an object: its topics' next generation is made, filled and put in force.

`plan` says from where to where, `run` takes the steps. What is done already is seen on Kafka and in the map, so a run
that was cut is simply given again (decision 0016).
"""
