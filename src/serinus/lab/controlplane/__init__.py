"""What a lab stands on: its embedded control plane, or Kubernetes' own.

Each is a set of parts that the node keeps running. The lab's other parts are clients of its API
server over HTTPS, at the same address, with the same tokens, and do not know which one it is.
"""
