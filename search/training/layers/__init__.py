"""Layers and replacements of layers that make training faster, or its statistics exact.

Each replacement changes how a stock Keras layer computes while it trains. What is saved stays a stock
layer. All import Keras.
"""
