"""What the wizard explains, in two or three sentences each, where no option of the training is meant. Only texts."""

from __future__ import annotations

ABOUT = {
    "name": "What the project and its LoRA file are called. A name of letters and digits is easiest to type later.",
    "where": "The folder that is made. Everything that belongs to this LoRA lies in it: pictures, settings, runs. "
    "Nothing else on your disk is touched.",
    "trigger": "The word that calls your subject up: it stands in every caption now, and in your prompts later. Make "
    "one up that nobody uses, four to eight letters, such as ohwx or zibo: a word that the model knows brings along "
    "all that it knows.",
    "class": "What your subject is, in one plain word: man, woman, dog, car, style. The model knows a lot about it "
    "already, and your subject becomes a special one of these.",
    "repeats": "How often each picture is seen in one epoch. 25 is the guide's number for 30 pictures, and up to 100 "
    "is usual; with more pictures take fewer. More repeats and more epochs do the same, but a LoRA is saved after each "
    "epoch.",
    "wish": "About how many steps the training is to have. From it and from the number of your pictures the repeats "
    "follow, the same share of an epoch for each subject: with few pictures more repeats, with many fewer. Empty it "
    "for the guide's number.",
    "reg-repeats": "How often each regularisation picture is seen in one epoch at least: 1 is usual. They are repeated "
    "by themselves until there are as many as of your own pictures with their repeats.",
    "images": "A folder with 20 to 30 good pictures of your subject: sharp, alone in the picture, different places, "
    "clothes and light. Captions that lie beside them come along. Your own files are never changed.",
    "link": "Copied pictures are safe when the others are moved. Links take no room on the disk. Captions are always "
    "copied.",
    "reg": "Ordinary pictures of the class, other men if yours is a man: they keep the word from turning into your "
    "subject. You may leave this out and add them later.",
}
