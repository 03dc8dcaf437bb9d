"""Ordinary sentences without a digit, for streams in which people talk; the sides share no clause."""

import numpy as np

from sensemble_train.digits.voices import Side

_SUBJECTS: dict[Side, tuple[str, ...]] = {
    "train": (
        "my aunt", "the postman", "our landlord", "that old radio", "a friend of mine", "the whole family",
        "the lady from the bank", "your cousin", "the garden gate", "every child", "nobody here",
        "the weather", "a large brown dog", "the committee", "the new teacher", "our neighbours",
        "this computer", "somebody", "the company", "her brother Thomas", "the last train", "a good doctor",
        "the printer upstairs", "the menu", "the caller", "the person you asked for", "an agent",
        "the office", "his telephone", "the recording",
    ),
    "calibrate": (
        "the plumber", "my grandfather", "the orchestra", "a young woman", "the kitchen clock", "our cat",
        "the mayor", "the shop on the corner", "each passenger", "the conference",
    ),
    "eval": (
        "the gardener", "my uncle Peter", "the library", "a tall man", "the coffee machine", "the choir",
        "our captain", "the hotel", "a visitor", "the pharmacy", "her daughter", "the elevator",
    ),
}  # fmt: skip
_PREDICATES: dict[Side, tuple[str, ...]] = {
    "train": (
        "will call you back after lunch", "has been waiting for a while", "wants a little more sugar",
        "went to the market by bicycle", "does not answer at the moment", "knows exactly what to do",
        "left a message on the table", "keeps the receipts in a drawer", "is not available right now",
        "needs to be repaired before winter", "spoke about the price of butter", "moved to another city",
        "is coming home by the evening train", "forgot where the keys were",
        "was very pleased with the result", "should arrive any minute", "can be heard from far away",
        "must have lost the address", "would rather stay inside and read",
        "looks different in the morning light", "gave us a warm welcome", "prefers tea with milk and honey",
        "opened the window to let in some air", "never says a word about it",
        "asked for directions at the station", "has a very quiet voice",
        "turned off the lights and went upstairs", "is still under construction",
        "enjoys walking along the shore", "sends you best wishes",
        "has been transferred to a different department", "cannot be reached at this number",
        "will be placed on hold", "has joined the conference",
        "requires a password followed by the pound key", "thinks we ought to hurry up",
        "made a mistake in the calendar", "is worried about the exam", "plays the violin rather well",
        "took the wrong umbrella",
    ),
    "calibrate": (
        "came in through the back door", "sang until midnight", "has nothing to add",
        "was painted green last spring", "is closed on public holidays", "broke down near the bridge",
        "told me a long story", "likes to sit in the sun", "wrote a letter to the newspaper",
        "is waiting in the corridor", "sold the car and bought a boat", "will explain everything later",
    ),
    "eval": (
        "ordered soup and a glass of water", "is looking for the exit", "was built a century ago",
        "has changed its opening hours", "lost a glove in the snow", "talks about football all day",
        "cannot find the right platform", "returned the books yesterday", "is baking bread with walnuts",
        "would like to speak to the manager", "remembers the summer by the lake",
        "fixed the roof before the rain", "travels with a small suitcase", "laughed at the joke again",
    ),
}  # fmt: skip
_REMARKS: dict[Side, tuple[str, ...]] = {
    "train": (
        "please hold the line", "thank you for calling", "I am sorry, that is not correct",
        "goodbye for now", "let me think about it", "what do you mean by that?", "it does not matter",
        "press the star key to go back", "good evening, everybody", "welcome to the voice mail system",
        "your message has been saved", "are you there already?", "come over here and look at this",
        "I would say so, yes", "how much is it?", "to leave a message, wait for the tone",
        "see you on Friday then", "oh, that is wonderful news", "hang up the phone", "invalid extension",
        "do you want some more?", "well, I never", "not at all",
    ),
    "calibrate": (
        "mind the step", "what time is dinner?", "that will do nicely", "pass me the salt, please",
        "hello, who is speaking?", "I could not agree more", "be careful with that", "leave it by the door",
    ),
    "eval": (
        "could you repeat that?", "watch your head", "is anybody at home?", "never mind the noise",
        "a cup of coffee, please", "that is none of my business", "turn left at the lights",
        "such a lovely day", "excuse me, sir", "we are almost there",
    ),
}  # fmt: skip
_REMARK = 0.3  # the share of sentences that are remarks


def sentences(side: Side) -> tuple[str, ...]:
    """Return every sentence of a side."""
    clauses = (f"{subject} {rest}" for subject in _SUBJECTS[side] for rest in _PREDICATES[side])
    return (*clauses, *_REMARKS[side])


def sentence(side: Side, rng: np.random.Generator) -> str:
    """Draw a sentence."""
    if rng.random() < _REMARK:
        return str(rng.choice(_REMARKS[side]))
    return f"{rng.choice(_SUBJECTS[side])} {rng.choice(_PREDICATES[side])}"
