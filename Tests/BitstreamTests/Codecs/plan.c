// Temporal layers 0-2-1-2 (or 0-1) where only the first frames of a layer in a cycle can be stepped up at: the later
// ones refer to frames of their own layer. Knows no codec.
#include "plan.h"

static void refer(picture_plan *plan, int spatial, int buffer) {
    plan->earlier[spatial][plan->earlier_count[spatial]++] = buffer;
}

static int temporal_layer(int position, int layers) {
    if (layers == 1) return 0;
    if (layers == 2) return position & 1;
    static const int pattern[] = {0, 2, 1, 2};
    return pattern[position & 3];
}

// A second half of the cycle continues what the first half began.
static int continues(int position, int layers) {
    switch (layers) {
    case 2: return (position & 3) == 3;
    case 3: return (position & 7) == 6 || (position & 7) == 7;
    default: return 0;
    }
}

static void plan_layer(picture_plan *plan, int s, int position, const encoder_settings *settings) {
    int layers = settings->temporal_layers, isAlone = settings->spatial_layers == 1;
    int goesOn = continues(position, layers);
    plan->kept[s] = -1;
    switch (plan->temporal) {
    case 0:
        if (position > 0) refer(plan, s, s);
        plan->kept[s] = s;
        break;
    case 1:
        refer(plan, s, s);
        if (goesOn) refer(plan, s, T1_BUFFER + s);
        if (layers == 3 || !goesOn) plan->kept[s] = T1_BUFFER + s;
        break;
    default:
        // The picture behind a T1 refers to that; the very last one also to the T2 before, where buffers suffice.
        if (position & 2) refer(plan, s, T1_BUFFER + s);
        if (isAlone && goesOn) refer(plan, s, T2_BUFFER);
        if (plan->earlier_count[s] == 0) refer(plan, s, s);
        if (isAlone && (position & 7) == 5) plan->kept[s] = T2_BUFFER;
        break;
    }
    plan->is_unreferenced[s] = plan->kept[s] < 0;
    int isUsedAbove = s + 1 < settings->spatial_layers && (position == 0 || !settings->is_key_mode);
    if (plan->kept[s] < 0 && isUsedAbove) plan->kept[s] = (plan->temporal == 1 ? T1_BUFFER : T2_BUFFER) + s;
}

picture_plan plan_picture(int position, const encoder_settings *settings) {
    picture_plan plan = {.temporal = temporal_layer(position, settings->temporal_layers)};
    int goesOn = continues(position, settings->temporal_layers);
    // T2 behind a T1 that goes on is itself a first one, unless it refers to the T2 before.
    int isAlone = settings->spatial_layers == 1;
    plan.is_sync = plan.temporal > 0 && !(goesOn && (plan.temporal == 1 || isAlone));
    for (int s = 0; s < settings->spatial_layers; s++) {
        plan_layer(&plan, s, position, settings);
        int usesLower = s > 0 && (position == 0 || !settings->is_key_mode);
        plan.lower[s] = usesLower ? plan.kept[s - 1] : -1;
    }
    return plan;
}
