/** What the server answers with, made from dataclasses by tests/ui/answer_types.py. */

export interface RunGroup {
    id: string;
    title: string;
    key: string;
    value: string;
    position: number;
    grid: boolean;
    problem: string;
}

export interface RunSummary {
    id: string;
    name: string;
    created: number;
    command: string;
    state: string;
    pid: number|null;
    device: string|null;
    phase: string;
    step: number;
    total_steps: number|null;
    epoch: number|null;
    total_epochs: number|null;
    loss: number|null;
    seconds_left: number|null;
    seconds_per_step: number|null;
    saved: Record<string, unknown>[];
    sample: string;
    error: string;
    ended: number|null;
    lora_name: string;
    has_training_state: boolean;
    training_state_step: number;
    diverged: boolean;
    out_of_memory: boolean;
    steps_per_epoch: number|null;
    held_for: string;
    gave_gpu: boolean;
    usual_seconds_per_step: number|null;
    seconds: number;
    still_seconds: number;
    damage: string;
    starred: boolean;
    note: string;
    note_problem: string;
    group: RunGroup|null;
    place: number|null;
    on_hold: boolean;
    any_gpu: boolean;
    last_event: number;
}

export interface Continuation {
    name: string;
    from_step: number;
    steps: number|null;
    total_steps: number|null;
    epochs: number|null;
    seconds: number|null;
    unet_lr: number;
    text_encoder_lr: number;
    rate_factor: number;
    optimizer: string;
    adaptive: boolean;
    schedule: string;
    changes: Record<string, unknown>;
}

export interface RunNote {
    name: string;
    starred: boolean;
    note: string;
}

export interface RunSpace {
    id: string;
    name: string;
    bytes: number;
    state_bytes: number;
    image_bytes: number;
    diagnosis_bytes: number;
    ends_resume: boolean;
    kept: string;
}

export interface CacheSpace {
    folder: string;
    bytes: number;
}

export interface TrashedFile {
    origin: string;
    stored: string;
}

export interface TrashEntry {
    id: string;
    run: string;
    name: string;
    time: number;
    whole_run: boolean;
    files: TrashedFile[];
    problem: string;
}

export interface Sign {
    kind: string;
    name: string;
    text: string;
}

export interface Remedy {
    title: string;
    reason: string;
    changes: Record<string, unknown>;
    file: string;
    strength: number|null;
}

export interface EpochPoint {
    name: string;
    path: string;
    label: string;
    step: number;
    held_out: number|null;
    trained: number|null;
    drift: number|null;
    likeness: number|null;
    flexibility: number|null;
    copies: number|null;
    to_nearest: number|null;
    to_set: number|null;
    alike: boolean;
}

export interface WhichEpoch {
    source: string;
    measured_on: string;
    about: string;
    points: EpochPoint[];
    path: string;
    name: string;
    label: string;
    strength: number|null;
    sure: string;
    reason: string;
    strength_reason: string;
    doubts: string[];
    signs: Sign[];
    remedies: Remedy[];
    strengths: [number, number][];
    missing: number;
    problem: string;
    features: string;
    lacks: string[];
}

export interface ImageNow {
    gone: boolean;
    weight: number;
    repeats: number;
    retagged: boolean;
}

export interface DiagnosedImage {
    index: number;
    path: string;
    name: string;
    concept: string;
    bucket: [number, number]|null;
    repeats: number;
    suspicion: number;
    curve: (number|null)[];
}

export interface DiagnosedTag {
    tag: string;
    images: number[];
    suspicion: number;
    alarm: boolean;
    reason: string;
    curve: (number|null)[];
}

export interface SuspiciousImage {
    image: number;
    rank: number;
    suspicion: number;
    kind: string;
    reason: string;
    alarm: boolean;
    others: number[];
    ways: string[];
    now: ImageNow|null;
}

export interface BalancePart {
    kind: string;
    name: string;
    learned: number;
    images: number;
    reason: string;
}

export interface Diagnosis {
    state: string;
    folder: string;
    problems: string[];
    left_out: string[];
    steps: number[];
    epochs: number[];
    seconds: number;
    typical: (number|null)[];
    images: DiagnosedImage[];
    tags: DiagnosedTag[];
    findings: SuspiciousImage[];
    balance: BalancePart[];
    found_step: number|null;
}

export interface TagEffect {
    tag: string;
    with_tag: number;
    without: number;
}

export interface ImageDetail {
    index: number;
    caption: string;
    empty: (number|null)[];
    timesteps: number[];
    losses: (number|null)[];
    tags: TagEffect[];
}

export interface Difference {
    key: string;
    label: string;
    values: unknown[];
}

export interface Suggestion {
    value: unknown;
    text: string;
    reason: string;
}

export interface Variant {
    value: string;
    name: string;
    steps: number|null;
    seconds: number|null;
    problems: string[];
    notes: string[];
}

export interface VariantsPlan {
    key: string;
    title: string;
    variants: Variant[];
    problems: string[];
    steps: number|null;
    seconds: number|null;
}

export interface Choice {
    name: string;
    label: string;
    refused: string;
}

export interface Countdown {
    text: string;
    seconds_left: number;
    cancel_file: string;
}

export interface Notice {
    id: number;
    level: string;
    text: string;
    choice: string;
}

export interface FinishedState {
    choice: string;
    choices: Choice[];
    command: string;
    waits_for: string[];
    countdown: Countdown|null;
    notice: Notice|null;
}

export interface MadeFile {
    name: string;
    path: string;
    epoch: number;
    step: number;
    bytes: number|null;
}

export interface PhaseTime {
    label: string;
    seconds: number;
}

export interface RunReport {
    files: MadeFile[];
    best: string;
    best_reason: string;
    warnings: string[];
    phases: PhaseTime[];
    files_bytes: number;
    folder_bytes: number;
    free_bytes: number|null;
}

export interface TensorBoardState {
    address: string;
    missing: string;
}
