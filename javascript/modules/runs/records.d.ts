/** What the server answers with, made from dataclasses by tests/ui/answer_types.py. */

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
