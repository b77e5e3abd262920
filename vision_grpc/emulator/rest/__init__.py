"""REST/JSON on the embedded server: HTTP requests become the calls that the gRPC side serves, by the rules in our own protos.

Nothing here knows what a method does. A request is matched with the google.api.http rules (:mod:`rules`), made a message
(:mod:`requests`), handed to the same front door as a gRPC call, with its faults and its call log, and the reply is made
JSON (:mod:`replies`). Needs the extra ``rest``.
"""
