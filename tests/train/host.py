"""A job of `ranks` without its comparisons, for the ranks of several hosts."""

import json
import sys

import torch
from sensemble_train.distributed import join

from tests.train.ranks import Job, train

if __name__ == "__main__":
    torch.set_num_threads(1)
    with join() as world:
        train(Job(**json.loads(sys.argv[1])), world)
