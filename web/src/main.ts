import './map_library';
