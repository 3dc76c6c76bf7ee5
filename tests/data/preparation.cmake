holdfast_test(
    NAME data_preparation
    SOURCES dataset_sidecar_test.cpp held_out_split_test.cpp line_reader_test.cpp prepare_fault_test.cpp prepare_test.cpp shard_writer_test.cpp
            text_source_test.cpp
    DEPS holdfast::data_preparation
    LABELS unit)
