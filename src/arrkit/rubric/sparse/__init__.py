"""Rubrics learned as sparse weights: AutoRubric-T2I (arXiv 2605.17602).

A rubric is a short list of statements with weights, and the reward of an image is the weighted sum of how far
it meets each (section 4.1). Statements come from what a judge says of preference pairs; an l1-regularised
logistic regression keeps those whose scores tell the preferred image from the other; pairs that the kept ones
rank wrongly are shown to the judge again, which names what is missing.
"""
