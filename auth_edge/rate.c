#include "auth_edge/rate.h"

enum { US_PER_S = 1000 * 1000 };

bool rate_take(struct rate *rate, uint64_t mono_us)
{
    uint64_t full = rate->per_s_max * US_PER_S;
    uint64_t passed_us = mono_us - rate->last_us;
    rate->micro_tokens += (passed_us < US_PER_S ? passed_us : US_PER_S) * rate->per_s_max;
    if (rate->micro_tokens > full)
        rate->micro_tokens = full;
    rate->last_us = mono_us;
    if (rate->micro_tokens < US_PER_S)
        return false;
    rate->micro_tokens -= US_PER_S;
    return true;
}
