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

export interface Report {
    pictures: number;
    findings: Finding[];
    shapes: ShapeCount[];
    crops: Crop[];
    tokens_exact: boolean;
    problem: string;
}
