"""One contender of training.ts: ResNet-18 for 32x32 in PyTorch. Arguments: precision, batch size.

Prints its name once it is ready; then, for each line with a number of steps on standard input, runs them and prints
their milliseconds as a JSON list.
"""

import json
import os
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F

precision, batch = sys.argv[1], int(sys.argv[2])
torch.manual_seed(1)
# Some builds take one core by themselves.
torch.set_num_threads(len(os.sched_getaffinity(0)))


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        return F.relu(self.bn2(self.conv2(y)) + self.shortcut(x), inplace=True)


layers = [nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True)]
channels = 64
for width, stride in [(64, 1), (128, 2), (256, 2), (512, 2)]:
    layers += [Block(channels, width, stride), Block(width, width, 1)]
    channels = width
network = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))
assert sum(each.numel() for each in network.parameters()) == 11_173_962
network = network.to(memory_format=torch.channels_last).train()
optimizer = torch.optim.SGD(network.parameters(), 0.01, momentum=0.9, weight_decay=5e-4, nesterov=True)
images = torch.randn(batch, 3, 32, 32).to(memory_format=torch.channels_last)
labels = torch.randint(0, 10, (batch,))


def step():
    optimizer.zero_grad(set_to_none=True)
    with torch.autocast('cpu', dtype=torch.bfloat16, enabled=precision == 'bfloat16'):
        loss = F.cross_entropy(network(images), labels)
    loss.backward()
    optimizer.step()
    return loss.item()


step()
print(json.dumps(f'PyTorch {torch.__version__}, {torch.get_num_threads()} threads'), flush=True)
for line in sys.stdin:
    times = []
    for _ in range(int(line)):
        start = time.perf_counter()
        step()
        times.append(1000 * (time.perf_counter() - start))
    print(json.dumps(times), flush=True)
