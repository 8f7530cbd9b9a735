"""One contender of training.ts: ResNet-18 for 32x32 in Keras 3 on TensorFlow. Arguments: precision, batch size.

Prints its name once it is ready; then, for each line with a number of steps on standard input, runs them and prints
their milliseconds as a JSON list.
"""

import json
import os
import sys
import time

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')

import keras
import tensorflow as tf
from keras import layers

precision, batch = sys.argv[1], int(sys.argv[2])
keras.utils.set_random_seed(1)
keras.mixed_precision.set_global_policy('mixed_bfloat16' if precision == 'bfloat16' else 'float32')


def normalized_convolution(x, filters, size, stride=1):
    if size == 3 and stride == 2:
        x = layers.ZeroPadding2D(1)(x)
        x = layers.Conv2D(filters, size, strides=stride, padding='valid', use_bias=False)(x)
    else:
        x = layers.Conv2D(filters, size, strides=stride, padding='same', use_bias=False)(x)
    return layers.BatchNormalization(epsilon=1e-5, momentum=0.9)(x)


inputs = layers.Input((32, 32, 3))
hidden = layers.ReLU()(normalized_convolution(inputs, 64, 3))
channels = 64
for width, first_stride in [(64, 1), (128, 2), (256, 2), (512, 2)]:
    for stride in (first_stride, 1):
        y = layers.ReLU()(normalized_convolution(hidden, width, 3, stride))
        y = normalized_convolution(y, width, 3)
        is_same = stride == 1 and channels == width
        shortcut = hidden if is_same else normalized_convolution(hidden, width, 1, stride)
        hidden = layers.ReLU()(layers.Add()([y, shortcut]))
        channels = width
outputs = layers.Dense(10, dtype='float32')(layers.GlobalAveragePooling2D()(hidden))
model = keras.Model(inputs, outputs)
assert sum(int(tf.size(each)) for each in model.trainable_variables) == 11_173_962
model.compile(
    # Its `weight_decay` is another rule (decoupled), and as many operations.
    keras.optimizers.SGD(0.01, momentum=0.9, nesterov=True, weight_decay=5e-4),
    keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    jit_compile=False,
)
images = tf.random.normal([batch, 32, 32, 3])
labels = tf.random.uniform([batch], 0, 10, tf.int32)

model.train_on_batch(images, labels)
print(json.dumps(f'Keras {keras.__version__} on TensorFlow {tf.__version__}, graph'), flush=True)
for line in sys.stdin:
    times = []
    for _ in range(int(line)):
        start = time.perf_counter()
        model.train_on_batch(images, labels)
        times.append(1000 * (time.perf_counter() - start))
    print(json.dumps(times), flush=True)
