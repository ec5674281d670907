/** What the server answers with, made from dataclasses by tests/ui/answer_types.py. */

export interface Outcome {
    label: string;
    changed: number[];
    left: string[];
}

export interface Preview {
    number: number;
    before: string;
    after: string;
}

export interface BatchInfo {
    number: number;
    label: string;
    time: number;
    files: number;
}

export interface OnOff {
    tag: string;
    on: number;
    off: number;
    advice: string;
}

export interface Doubt {
    kind: string;
    picture: string;
    tag: string;
    instead: string;
    confidence: number|null;
    having: number;
    others: number;
}

export interface Fix {
    label: string;
    action: string;
    numbers: number[];
    values: Record<string, unknown>;
}

export interface Group {
    text: string;
    numbers: number[];
    fixes: Fix[];
}

export interface Finding {
    id: string;
    level: string;
    title: string;
    text: string;
    numbers: number[];
    fixes: Fix[];
    groups: Group[];
    files: [string, string][];
}

export interface ShapeCount {
    width: number;
    height: number;
    numbers: number[];
}

export interface Crop {
    number: number;
    width: number;
    height: number;
    bucket: [number, number];
    kept: [number, number, number, number];
    cut_off: number;
}

export interface Share {
    name: string;
    numbers: number[];
}

export interface Content {
    title: string;
    shares: Share[];
    untagged: number[];
}

export interface Report {
    pictures: number;
    findings: Finding[];
    shapes: ShapeCount[];
    crops: Crop[];
    contents: Content[];
    tokens_exact: boolean;
    problem: string;
}

export interface ChunkEnd {
    tokens: number;
    at: number;
    cut: boolean;
}

export interface TagProposal {
    tag: string;
    why: string;
    sure: boolean;
}

export interface ProposedCrop {
    kind: string;
    label: string;
    frame: [number, number, number, number];
}

export interface CropOptions {
    width: number;
    height: number;
    proposals: ProposedCrop[];
    bars: [number, number, number, number]|null;
    background: [number, number, number, number]|null;
    sizes: [number, number][];
    saved_as: string;
    cannot: string;
    losses: string[];
    losses_in_place: string[];
    about_faces: string;
    has_mask: boolean;
}

export interface FrameFacts {
    bucket: [number, number];
    warning: string;
    remove: TagProposal[];
    add: TagProposal[];
    note: string;
}

export interface BatchCrop {
    number: number;
    path: string;
    version: string;
    frame: [number, number, number, number];
    width: number;
    height: number;
    warning: string;
    remove: string[];
    add: string[];
}

export interface BatchReport {
    state: string;
    kind: string;
    done: number;
    total: number;
    problem: string;
    label: string;
    found: number;
    images: number;
    crops: BatchCrop[];
    left: string[];
    remove: [string, number][];
    add: [string, number][];
}

export interface EditChanges {
    added: [string, number][];
    removed: [string, number][];
    more: number;
    reordered: number;
    sentences: number;
    moved: number;
    picture: string;
}

export interface WayBack {
    seen: string;
    back: boolean;
    edits: number;
    captions: number;
    moved: number;
    previews: Preview[];
}

export interface CommonTags {
    images: number;
    common: string[];
    some: [string, number][];
    more: number;
    sentences: number;
    unreadable: number;
}

export interface CopiedTags {
    tags: string[];
    images: number;
    sentences: number;
}

export interface RenameFacts {
    having: number;
    existing: number;
    both: number;
    sentences: number;
}

export interface IncomingPlan {
    captions: number;
    kept: number;
    same: number;
    without: number;
    unreadable: number;
    outside: number;
    previews: Preview[];
    unmatched: [string, string][];
    unmatched_total: number;
}

export interface NamedTag {
    tag: string;
    marked: number|null;
    whole: number|null;
    prompted: boolean;
}

export interface Shown {
    number: number;
    confidence: number|null;
}

export interface TagCause {
    tag: string;
    kind: string;
    text: string;
    images: number;
    untagged: Shown[];
    tagged: Shown[];
    together: string[];
    unknown: number[];
}

export interface Suspect {
    number: number;
    reason: string;
}

export interface Suspects {
    run: string;
    name: string;
    images: Suspect[];
}
