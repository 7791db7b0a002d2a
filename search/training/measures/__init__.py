"""What a trained network is worth, from its probabilities.

`metrics` has accuracy, loss and overfitting, `probability_calibration` temperature scaling, `worst_images`
a picture of the most wrong answers.
"""
