holdfast_library(
    NAME data_sidecar
    SOURCES dataset_sidecar.cpp
    DEPS holdfast::base holdfast::fs nlohmann_json::nlohmann_json)

holdfast_library(
    NAME data_preparation
    SOURCES held_out_split.cpp line_reader.cpp ordered_encoder.cpp prepare.cpp preparing_folder.cpp shard_builder.cpp
            shard_writer.cpp text_source.cpp
    DEPS holdfast::base holdfast::data_sidecar holdfast::fs holdfast::tokenizer nlohmann_json::nlohmann_json
         Threads::Threads)

# Token sets check their shards against the sidecar beside them.
if(TARGET holdfast_data)
    target_link_libraries(holdfast_data PUBLIC holdfast::data_sidecar)
endif()
