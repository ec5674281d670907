"""Booru tags by what they say about an image; the doctor counts them."""

from __future__ import annotations

from collections.abc import Mapping

from ..tags import plain


def _tags(text: str) -> frozenset[str]:
    return frozenset(plain(tag) for tag in text.split(","))


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


SEVERAL = _tags("multiple girls, multiple boys, multiple others, couple, duo, trio, group") | {
    f"{count}{who}" for count in ("2", "3", "4", "5", "6", "7", "8", "9", "6+") for who in ("girls", "boys", "others")}
"""Tags of more than one person."""

PEOPLE = SEVERAL | _tags("1girl, 1boy, 1other, solo, woman, man, girl, boy, male, female, male focus, female focus, "
                         "anthro, feral, humanoid, solo focus")

FRAMING: Mapping[str, frozenset[str]] = {
    "close-up": _tags("close-up, close up, face focus, eye focus, headshot, headshot portrait"),
    "portrait": _tags("portrait, bust, bust portrait"),
    "upper body": _tags("upper body, half-length portrait, waist up"),
    "cowboy shot": _tags("cowboy shot, three-quarter portrait, thigh up, feet out of frame"),
    "full body": _tags("full body, full-length portrait, wide shot, very wide shot, long shot"),
    "lower body": _tags("lower body, head out of frame, feet focus, leg focus, ass focus")}
"""How much of a body is in the image; Danbooru's and e621's names."""

FRAMINGS = frozenset(tag for tags in FRAMING.values() for tag in tags if not tag.endswith(" focus"))
"""Tags of ``FRAMING`` that say where the image ends, not what it is about."""

VIEW: Mapping[str, frozenset[str]] = {
    "front": _tags("front view, facing viewer, straight-on, looking at viewer"),
    "side": _tags("from side, profile, side view, facing to the side, facing away to the side, looking to the side"),
    "behind": _tags("from behind, facing away, back view, rear view, back, looking back"),
    "three-quarter": _tags("three quarter view, three-quarter view, three-quarter profile"),
    "above": _tags("from above, high angle, high-angle view, bird's-eye view"),
    "below": _tags("from below, low angle, low-angle view, worm's-eye view")}

POSE: Mapping[str, frozenset[str]] = {
    "standing": _tags("standing, contrapposto, standing on one leg, leaning forward, leaning back, leaning, bent "
                      "over"),
    "sitting": _tags("sitting, wariza, seiza, indian style, crossed legs, knees to chest, on chair, on lap, "
                     "straddling"),
    "lying": _tags("lying, on back, on stomach, on side, on bed, reclining, sleeping"),
    "kneeling": _tags("kneeling, squatting, on one knee, crouching, all fours, kneeling on one knee"),
    "moving": _tags("walking, running, jumping, dancing, fighting stance, fighting, flying, floating, midair, "
                    "falling, swimming, climbing, kicking, punching"),
    "arms and hands": _tags("arms up, arms behind back, arms behind head, arms at sides, crossed arms, hand on own "
                            "hip, hands on own hips, hand up, hands up, hand on own face, hand on own chest, "
                            "outstretched arm, outstretched arms, arm up, v, peace sign, waving, pointing, pointing "
                            "at viewer, salute, own hands together, hugging own legs, spread arms, heart hands, "
                            "thumbs up, arm support, holding, pose, action pose, model sheet, t-pose, a-pose")}

EXPRESSION: Mapping[str, frozenset[str]] = {
    "neutral": _tags("expressionless, closed mouth, serious, neutral expression"),
    "smiling": _tags("smile, light smile, grin, :d, smirk, laughing, happy, evil smile, open mouth smile, seductive "
                     "smile, smug, :3"),
    "sad": _tags("sad, crying, tears, frown, crying with eyes open, sobbing, depressed, teary eyes"),
    "angry": _tags("angry, annoyed, clenched teeth, scowl, glaring, v-shaped eyebrows, rage"),
    "surprised": _tags("surprised, shocked, open mouth, :o, wide-eyed, scared, nervous, worried, embarrassed, "
                       "full-face blush, flustered, sweatdrop"),
    "other": _tags("wink, one eye closed, closed eyes, half-closed eyes, pout, tongue out, :p, drooling, bored, "
                   "sleepy, crazy, disgust, tired, ahegao, blush")}

BACKGROUND: Mapping[str, frozenset[str]] = {
    "plain": _tags("simple background, white background, grey background, gray background, black background, "
                   "transparent background, blue background, pink background, red background, green background, "
                   "yellow background, purple background, brown background, orange background, gradient background, "
                   "two-tone background, beige background, monotone background, plain background, halftone "
                   "background, polka dot background, patterned background, abstract background, blank background"),
    "outdoors": _tags("outdoors, sky, day, night, forest, nature, city, street, cityscape, beach, ocean, mountain, "
                      "field, grass, tree, trees, water, snow, rain, park, garden, ruins, cloud, clouds, blue sky, "
                      "night sky, building, road, rooftop, desert, flower field, sunset, detailed background, "
                      "scenery"),
    "indoors": _tags("indoors, room, bedroom, kitchen, classroom, bathroom, living room, office, cafe, bar, library, "
                     "hallway, church, stage, train interior, bed, couch, window, bookshelf, curtains")}

MARKS: Mapping[str, frozenset[str]] = {
    "text": _tags("text, english text, japanese text, chinese text, korean text, speech bubble, thought bubble, "
                  "dialogue, onomatopoeia, sound effects, subtitled, copyright name, character name, cover, title, "
                  "comic, translated, url, page number, dated, border text, profanity, watermark text"),
    "watermark or signature": _tags("watermark, signature, artist name, web address, twitter username, patreon "
                                    "username, patreon logo, logo, sample watermark, pixiv username, instagram "
                                    "username, artist logo, copyright notice, fanbox username, copyright, "
                                    "third-party watermark, third-party edit, username, weibo username, twitter "
                                    "logo, pixiv id, stamp"),
    "border or frame": _tags("border, white border, black border, letterboxed, pillarboxed, framed, black bars, "
                             "white frame, outside border, ornate border, film grain, polaroid")}
"""What was added to the image and is learned with it."""

SOURCES: Mapping[str, frozenset[str]] = {
    "screenshots": _tags("anime screenshot, anime screencap, screencap, screenshot, film still, movie still"),
    "game images": _tags("game cg, in-game screenshot, gameplay, sprite, concept art, game screenshot"),
    "3D renders": _tags("3d, 3d model, render, mmd, blender (medium), unreal engine, source filmmaker, cgi"),
    "official art": _tags("official art, key visual, promotional art, official style"),
    "comics": _tags("comic, manga, manga panel, comic page, 4koma, monochrome, greyscale"),
    "cosplay photos": _tags("cosplay, photo (medium), real life, photo")}
"""Where images come from; the style of a source is learned with the subject."""

GARMENTS = _words(
    "dress shirt blouse t-shirt sweater hoodie jacket coat vest cardigan cape cloak apron skirt miniskirt pants "
    "trousers jeans shorts leotard bodysuit swimsuit bikini uniform kimono yukata robe armor boots shoes sandals "
    "sneakers heels socks thighhighs pantyhose stockings kneehighs leggings gloves gauntlets hat cap beret helmet "
    "crown tiara hood headband hairband hairclip ribbon bow bowtie necktie scarf choker collar necklace earrings "
    "glasses sunglasses goggles eyepatch mask belt bag backpack wings tail horns halo ears jewelry bracelet "
    "headphones sword weapon staff umbrella")
"""The last words of tags for parts that can be worn, held, or left out."""
