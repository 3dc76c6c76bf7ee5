// All settings of a run: the structs of their owners, composed. Defaults and units stand there.
#pragma once

#include "checkpoint/checkpoint_config.h"
#include "data/data_config.h"
#include "dist/dist_config.h"
#include "model/gpt_config.h"
#include "optim/adamw_config.h"
#include "optim/schedule_config.h"
#include "telemetry/log_config.h"
#include "train/train_config.h"

namespace holdfast::config {

struct Settings {
    train::RunConfig run;
    model::GptConfig model;
    data::DataConfig data;
    train::BatchConfig batch;
    train::TrainConfig train;
    optim::AdamWConfig optimizer{};
    optim::ScheduleConfig schedule;
    checkpoint::CheckpointConfig checkpoint;
    telemetry::LogConfig log;
    dist::DistConfig dist;
};

}  // namespace holdfast::config
